"""What a notebook is looked at for before anybody is asked: each check has a code that stays, a sentence and a hint."""
