"""Whether a package gives what its notebook gives: both run on the same inputs, and every value is compared."""
