"""Tells what an ALTER TABLE keeps others from, by the lock that it takes on its table.

AlterTableGetLockLevel of src/backend/commands/tablecmds.c: the strongest lock of its commands is
held from its first one on.
"""

from __future__ import annotations

from collections.abc import Sequence

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType

from pgrunbook.sqltext.hazards import Hazard

# ALTER TABLE takes ACCESS EXCLUSIVE, but for these forms, which take SHARE UPDATE EXCLUSIVE or less
# on the table: ATTACH PARTITION locks others out of the partition alone.
_HARMLESS = {
    *(AlterTableType.AT_ValidateConstraint, AlterTableType.AT_SetStatistics),
    *(AlterTableType.AT_SetOptions, AlterTableType.AT_ResetOptions),
    *(AlterTableType.AT_SetRelOptions, AlterTableType.AT_ResetRelOptions),
    *(AlterTableType.AT_ClusterOn, AlterTableType.AT_DropCluster),
    AlterTableType.AT_AttachPartition,
}
# … and these, which take SHARE ROW EXCLUSIVE: writes wait, reads pass.
_TRIGGER_COMMANDS = {
    *(AlterTableType.AT_EnableTrig, AlterTableType.AT_EnableAlwaysTrig),
    *(AlterTableType.AT_EnableReplicaTrig, AlterTableType.AT_EnableTrigAll),
    *(AlterTableType.AT_EnableTrigUser, AlterTableType.AT_DisableTrig),
    *(AlterTableType.AT_DisableTrigAll, AlterTableType.AT_DisableTrigUser),
}


def locked_out(node: ast.AlterTableStmt) -> Hazard | None:
    """Return LOCKS_OUT_READS or LOCKS_OUT_WRITES; None if others only wait who alter the table."""
    commands: Sequence[ast.AlterTableCmd] = node.cmds
    if node.objtype != ObjectType.OBJECT_VIEW:
        commands = [each for each in commands if each.subtype not in _HARMLESS]
    if not commands:
        return None
    if all(_lets_reads_pass(each) for each in commands):
        return Hazard.LOCKS_OUT_WRITES
    return Hazard.LOCKS_OUT_READS


def _lets_reads_pass(command: ast.AlterTableCmd) -> bool:
    match command.def_:
        case ast.Constraint(contype=ConstrType.CONSTR_FOREIGN):
            return True
    return command.subtype in _TRIGGER_COMMANDS
