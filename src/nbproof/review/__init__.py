"""Who said yes, to what: checks, signed decisions, the policy that judges them, and the ledger that remembers them."""
