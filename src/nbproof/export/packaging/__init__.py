"""From a proven draft to the folder of a package: its name, its requirements, its files, and how it is put in place."""
