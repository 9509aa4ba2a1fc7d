"""Schedules as others keep them: each wakes `nbproof schedule run NAME --once`, so that all policies stay ours."""
