"""The pages without a browser: what they contain, how they fail, who may open them."""
