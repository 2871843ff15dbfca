"""The test cases. The name of a function describes what must be true."""
