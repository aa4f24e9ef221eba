"""What schemathesis is told beyond the document: which refusals of valid data are about sense, which no schema can tell."""

import json
import os

import schemathesis

# Ids of the accounts that were there before: what they are asked of is asked of nobody. schemathesis learns ids from answers,
# and would change the password that the next test logs in with.
SPARED = set(os.environ.get("SPARED", "").split(","))
NOBODY = "0" * 32

# Refusals of type HTTPBadRequest, which are otherwise of what a schema can tell, and why it cannot tell these.
NOT_IN_A_SCHEMA = (
    # Two parameters go together: as many directions as keys.
    "The number of sort_keys and sort_dirs must be same",
    # Two members go together: the names of one attribute.
    "'project_id' and 'tenant_id' do not match",
    # It depends on who asks; Neutron has this type for it.
    "other than the authenticated project in request requires admin privileges",
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Spares the accounts."""
    for name, value in (case.path_parameters or {}).items():
        if value in SPARED:
            case.path_parameters[name] = NOBODY


@schemathesis.check
def valid_data_is_refused_for_its_sense_alone(ctx, response, case):
    """Networking's 400 of valid data has a type that says what made no sense: InvalidInput, InvalidIpForNetwork, …"""
    generation = case.meta.generation if case.meta else None
    if response.status_code != 400 or generation is None or not generation.mode.is_positive:
        return
    error = json.loads(response.content).get("NeutronError")
    if error is None or error["type"] != "HTTPBadRequest":
        return
    known = any(known in error["message"] for known in NOT_IN_A_SCHEMA)
    assert known, f"valid data was refused: {error['message']}"
