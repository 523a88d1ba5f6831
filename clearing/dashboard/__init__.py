"""The pages: what the services know, drawn for people in Kazakh, Russian and English. No logic of clearing lives here."""
