"""The gate: may this key do this, here, now?"""
