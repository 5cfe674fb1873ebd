"""What an answer says: numbers, choices, booleans, labels, and the marks that announce them."""
