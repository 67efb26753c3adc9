"""Tells people and machines what happened to an approval: webhooks, chats, e-mail."""
