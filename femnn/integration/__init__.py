"""Exact element matrices and the Error of a rule; no rule and no network."""
