"""Measures for other libraries, one module each; a module imports its library only when it is used."""
