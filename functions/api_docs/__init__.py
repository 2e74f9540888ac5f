"""The API's document, the page that shows it, and the response at every address that the document does not name."""
