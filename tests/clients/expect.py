"""What the boto3 scripts share: a client that never tries twice, and how refusals are told."""
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# One try: a wrong 5xx must show, not be hidden by retries. What boto3 would refuse by itself is sent as it is.
CONFIG = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
WAIT = {"Delay": 1, "MaxAttempts": 150}


def client(**more):
    return boto3.client("ec2", config=CONFIG, **more)


def refused(code, call, **arguments):
    """Calls, and gives the message of the refusal, which must have that code and be the client's own fault."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, f"{code} was expected, not {error}"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
        assert error.response["ResponseMetadata"]["RequestId"], error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__}({arguments}) was not refused with {code}: {answer}")


def filters(**by):
    """filters(instance_id="i-1", state=["a", "b"]) as boto3 wants it; underscores are dashes."""
    values = lambda value: value if isinstance(value, list) else [value]
    return [{"Name": name.replace("_", "-"), "Values": values(value)} for name, value in by.items()]


class Cases:
    """A list of cases by name: all are tried, and those that fail are told together."""

    def __init__(self):
        self.cases = []

    def __call__(self, function):
        self.cases.append(function)
        return function

    def run(self):
        import traceback
        failed = []
        for function in self.cases:
            try:
                function()
            except Exception:
                failed.append(function.__name__)
                print(f"FAILED {function.__name__}\n{traceback.format_exc()}")
        assert not failed, f"{len(failed)} of {len(self.cases)} cases failed: {', '.join(failed)}"
        return len(self.cases)
