"""A package becomes a job: what runs, with which resources, on an engine that exists."""
