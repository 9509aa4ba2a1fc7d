"""nbproof's explanations beside their peers': the same models, the same rows, the same process."""
