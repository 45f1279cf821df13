"""The web server of a trained model: a page and a JSON API."""
