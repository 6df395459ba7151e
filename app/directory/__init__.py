"""The directory: users, groups, memberships and entitlements as rows, and what a change does to keys."""
