"""The events of AWS Lambda: whether one is an HTTP request, and what it is otherwise.

Nothing here returns or logs a part of an event: it may hold personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_http_request", "kind_of"]

# The services that send records, by the record's `eventSource`; SNS writes it `EventSource`.
_SOURCES = {
    "aws:sqs": "a batch of SQS messages",
    "aws:sns": "an SNS notification",
    "aws:s3": "an S3 notification",
    "aws:dynamodb": "a batch of a DynamoDB stream",
    "aws:kinesis": "a batch of a Kinesis stream",
    "aws:kafka": "a batch of Kafka records",
    "SelfManagedKafka": "a batch of Kafka records",
    "aws:mq": "a batch of Amazon MQ messages",
    "aws:rmq": "a batch of Amazon MQ messages",
    "aws:docdb": "a batch of a DocumentDB change stream",
    "aws:ses": "an SES email",
    "aws:codecommit": "a CodeCommit notification",
}
_LATTICE = "a request of VPC Lattice, which Mangum does not know, but a class in custom_handlers= may"
_INCOMPLETE = "an HTTP request that lacks a part that AWS always sends, such as requestContext"
# Other events, by keys that only they have; the first match counts.
_KEYS = (
    ({"detail-type", "source", "detail"}, "an EventBridge event"),
    ({"awslogs"}, "a batch of CloudWatch logs"),
    ({"alarmArn", "alarmData"}, "a CloudWatch alarm"),
    ({"deliveryStreamArn", "records"}, "a batch of Data Firehose records"),
    ({"triggerSource", "userPoolId"}, "a Cognito trigger"),
    ({"methodArn"}, "an API Gateway authorizer's question"),
    ({"routeArn"}, "an API Gateway authorizer's question"),
    ({"requestContext.connectionId"}, "a WebSocket API's message"),
    ({"requestContext.serviceNetworkArn"}, _LATTICE),
    ({"raw_path", "method"}, _LATTICE),
    ({"Records.cf"}, "a CloudFront event that is no request"),
    ({"RequestType", "StackId", "ResponseURL"}, "a CloudFormation custom resource's request"),
    ({"CodePipeline.job"}, "a CodePipeline job"),
    ({"configRuleName", "invokingEvent"}, "an AWS Config rule's event"),
    ({"ClientRequestToken", "SecretId", "Step"}, "a Secrets Manager rotation"),
    ({"getObjectContext"}, "an S3 Object Lambda request"),
    ({"invocationSchemaVersion", "tasks"}, "an S3 batch operation"),
    ({"info", "arguments"}, "an AppSync resolver's request"),
    ({"sessionState", "bot"}, "a Lex request"),
    ({"messageVersion", "actionGroup"}, "a Bedrock agent's action"),
    ({"key1", "key2", "key3"}, "the console's test event"),
    ({"requestContext"}, _INCOMPLETE),
    ({"httpMethod"}, _INCOMPLETE),
    ({"rawPath"}, _INCOMPLETE),
)


def is_http_request(event: Any) -> bool:
    """Return whether an event is a request of API Gateway, a Function URL, a load balancer or CloudFront.

    Example:
        >>> is_http_request({"httpMethod": "GET", "path": "/", "requestContext": {"elb": {}}})
        True
        >>> is_http_request({"key1": "value1"})
        False
    """
    match event:
        # Authorizers get the request as well, but answer with a policy.
        case {"methodArn": _} | {"routeArn": _}:
            return False
        case {"requestContext": {"elb": _}, "httpMethod": str(), "path": str()}:
            return True
        case {"version": "2.0", "requestContext": {"http": {"method": str(), "path": str(), "sourceIp": _}}}:
            return True
        case {"requestContext": {}, "httpMethod": str(), "path": _} if event.keys() & {"resource", "version"}:
            return True
        case {"Records": [{"cf": {"request": {}} as cloudfront}, *_]}:
            return "response" not in cloudfront
    return False


def kind_of(event: Any) -> str:
    """Return what kind of event it is, in words for an error.

    Example:
        >>> kind_of({"Records": [{"eventSource": "aws:sqs", "body": "Ada's order"}]})
        'a batch of SQS messages'
    """
    if not isinstance(event, Mapping):
        return "null" if event is None else f"no object, but of type {type(event).__name__}"
    keys = set(event)
    match event:
        case {"detail-type": "Scheduled Event"}:
            return "a scheduled event"
        case {"Records": [Mapping() as record, *_]}:
            keys |= {f"Records.{key}" for key in record}
        case {"requestContext": Mapping() as request}:
            keys |= {f"requestContext.{key}" for key in request}
    match event:
        case {"Records": [{"eventSource": str(source)} | {"EventSource": str(source)}, *_]} | {
            "eventSource": str(source)
        } if source in _SOURCES:
            return _SOURCES[source]
    unknown = "an object of no known kind, as Step Functions, a direct invocation or a test may send it"
    return next((kind for wanted, kind in _KEYS if wanted <= keys), unknown)
