"""Identity: who a person is, how governments are organised, who may do what, and the tokens that say so."""
