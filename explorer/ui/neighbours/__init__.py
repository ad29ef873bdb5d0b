"""The Neighbours page: a query, its results, why they are near, and how good the lists are."""
