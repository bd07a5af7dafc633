-- title: Nothing to undo: the constraint goes with 070
-- why: A validated constraint cannot be made NOT VALID again, and its replacement is made by the revert of 070.

SELECT 'nothing to undo' AS result;
