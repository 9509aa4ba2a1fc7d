"""From an approved notebook to a tested package: reading, and what reading must refuse."""
