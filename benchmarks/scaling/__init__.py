"""How many shards, how much memory and money a load takes: a simulation in virtual time, fed with measured costs."""
