"""Judgement by people: a page of blinded pairs, and the analysis."""
