"""Media: the tokens of cards, codes and telephones, and which of them may not ride."""
