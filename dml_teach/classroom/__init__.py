"""The classroom: feedback while a learner works, exercises without their solutions, grading that can be trusted."""
