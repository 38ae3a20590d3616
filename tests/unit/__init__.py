"""One module of the packages at a time: a test's module has the name of the module that it tests."""
