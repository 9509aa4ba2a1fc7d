"""Batch inference over Parquet: planned in partitions, streamed past a model, written once and whole."""
