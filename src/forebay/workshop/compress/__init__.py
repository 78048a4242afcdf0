"""Smaller or faster for a stated loss, proved on rows that nothing has seen. Knows no tenant.

keep/       the language of promises, the figures it speaks of, and the verdict
parts       three disjoint parts of the data: tuning, choosing, proof
"""
