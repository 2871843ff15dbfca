"""The cases: every function whose name is a sentence about what must hold."""
