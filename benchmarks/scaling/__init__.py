"""The shards, memory and money that a load needs: a simulation in virtual time, based on measured costs."""
