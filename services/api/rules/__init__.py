"""Rules: routes, versions, trying a condition out, what rules said, the comparison of a shadow."""
