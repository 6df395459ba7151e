"""What the operator's face takes and answers, as an OpenAPI document: a module for each part of the face."""
