"""The books that Tollgate brings along."""
