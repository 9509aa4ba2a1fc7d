"""The twenty points of a reviewer's report: what each asks for, and which products answer it."""
