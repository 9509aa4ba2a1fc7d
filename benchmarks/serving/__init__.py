"""The services that nbproof's is measured beside, each with the same model."""
