"""Events of AWS Lambda that are no HTTP requests, as AWS's documentation shows them, with personal data in each."""

from __future__ import annotations

from typing import Any

__all__ = ["OTHER_EVENTS", "PERSONAL", "lambda_at_edge"]

PERSONAL = "ada@example.org"
_REST_CONTEXT = {"accountId": "123456789012", "stage": "prod", "httpMethod": "GET", "path": "/prod/x", "requestId": "x"}


def lambda_at_edge(path: str = "/", *, event_type: str = "origin-request", **parts: Any) -> dict[str, Any]:
    """Make the event of a function behind CloudFront."""
    return {
        "Records": [
            {
                "cf": {
                    "config": {"distributionDomainName": "d1.cloudfront.net", "eventType": event_type},
                    "request": {
                        "clientIp": "192.0.2.1",
                        "headers": {"host": [{"key": "Host", "value": "cms.example.org"}]},
                        "method": "GET",
                        "querystring": "",
                        "uri": path,
                    },
                    **parts,
                }
            }
        ]
    }


def _records(source: str, *, key: str = "eventSource", **record: Any) -> dict[str, Any]:
    return {"Records": [{key: source, "awsRegion": "eu-west-1", **record}]}


# Each kind as the error names it, and events of that kind.
OTHER_EVENTS: dict[str, list[Any]] = {
    "a batch of SQS messages": [_records("aws:sqs", messageId="1", body=PERSONAL, attributes={}, receiptHandle="x")],
    "an SNS notification": [_records("aws:sns", key="EventSource", EventVersion="1.0", Sns={"Message": PERSONAL})],
    "an S3 notification": [_records("aws:s3", eventName="ObjectCreated:Put", s3={"object": {"key": PERSONAL}})],
    "a batch of a DynamoDB stream": [_records("aws:dynamodb", dynamodb={"Keys": {"Id": {"S": PERSONAL}}})],
    "a batch of a Kinesis stream": [_records("aws:kinesis", kinesis={"partitionKey": PERSONAL, "data": "SGVsbG8="})],
    "a batch of Kafka records": [
        {"eventSource": "aws:kafka", "records": {"topic-0": [{"value": PERSONAL}]}},
        {"eventSource": "SelfManagedKafka", "records": {"topic-0": [{"value": PERSONAL}]}},
    ],
    "a batch of Amazon MQ messages": [
        {"eventSource": "aws:mq", "messages": [{"data": PERSONAL}]},
        {"eventSource": "aws:rmq", "rmqMessagesByQueue": {"q::/": [{"data": PERSONAL}]}},
    ],
    "a batch of a DocumentDB change stream": [{"eventSource": "aws:docdb", "events": [{"event": PERSONAL}]}],
    "an SES email": [_records("aws:ses", ses={"mail": {"source": PERSONAL}})],
    "a CodeCommit notification": [_records("aws:codecommit", userIdentityARN=PERSONAL)],
    "a scheduled event": [
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "resources": [PERSONAL]},
        {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}", "resources": [PERSONAL]},
    ],
    "an EventBridge event": [
        {"version": "0", "source": "orders", "detail-type": "Order by Ada", "detail": {"customer": PERSONAL}},
        {"version": "0", "source": "aws.ec2", "detail-type": "EC2 State-change", "detail": {"state": PERSONAL}},
    ],
    "a batch of CloudWatch logs": [{"awslogs": {"data": PERSONAL}}],
    "a CloudWatch alarm": [{"source": "aws.cloudwatch", "alarmArn": "arn", "alarmData": {"alarmName": PERSONAL}}],
    "a batch of Data Firehose records": [{"deliveryStreamArn": "arn", "records": [{"data": PERSONAL}]}],
    "a Cognito trigger": [{"triggerSource": "PreSignUp_SignUp", "userPoolId": "x", "userName": PERSONAL}],
    "an API Gateway authorizer's question": [
        {"type": "TOKEN", "methodArn": "arn", "authorizationToken": PERSONAL},
        {
            "type": "REQUEST",
            "methodArn": "arn",
            "resource": "/x",
            "path": "/x",
            "httpMethod": "GET",
            "headers": {"Authorization": PERSONAL},
            "requestContext": _REST_CONTEXT,
        },
        {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": "arn",
            "headers": {"authorization": PERSONAL},
            "requestContext": {"stage": "$default", "http": {"method": "GET", "path": "/x", "sourceIp": "192.0.2.1"}},
        },
    ],
    "a WebSocket API's message": [
        {
            "requestContext": {"routeKey": "$default", "eventType": "MESSAGE", "connectionId": "x", "stage": "prod"},
            "body": PERSONAL,
            "isBase64Encoded": False,
        },
        {
            "headers": {"Cookie": PERSONAL},
            "multiValueHeaders": {"Cookie": [PERSONAL]},
            "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "x", "stage": "prod"},
        },
    ],
    "a request of VPC Lattice": [
        {"raw_path": f"/{PERSONAL}", "method": "GET", "headers": {}, "query_string_parameters": {}},
        {
            "version": "2.0",
            "path": f"/{PERSONAL}",
            "method": "GET",
            "headers": {},
            "requestContext": {"serviceNetworkArn": "arn", "serviceArn": "arn", "region": "eu-west-1"},
        },
    ],
    "a CloudFront event that is no request": [
        lambda_at_edge(event_type="origin-response", response={"status": "200", "headers": {}}),
        {"Records": [{"cf": {"config": {"eventType": "viewer-request"}}}]},
    ],
    "a CloudFormation custom resource's request": [
        {"RequestType": "Create", "StackId": "arn", "ResponseURL": "https://x", "ResourceProperties": {"a": PERSONAL}}
    ],
    "a CodePipeline job": [{"CodePipeline.job": {"id": "x", "data": {"owner": PERSONAL}}}],
    "an AWS Config rule's event": [{"configRuleName": "x", "invokingEvent": PERSONAL}],
    "a Secrets Manager rotation": [{"ClientRequestToken": PERSONAL, "SecretId": "arn", "Step": "createSecret"}],
    "an S3 Object Lambda request": [{"getObjectContext": {"inputS3Url": PERSONAL}, "userRequest": {"url": "x"}}],
    "an S3 batch operation": [{"invocationSchemaVersion": "1.0", "tasks": [{"s3Key": PERSONAL}], "job": {"id": "x"}}],
    "an AppSync resolver's request": [
        {"arguments": {"email": PERSONAL}, "info": {"fieldName": "user"}, "source": None}
    ],
    "a Lex request": [{"sessionState": {"intent": {}}, "bot": {"name": "x"}, "inputTranscript": PERSONAL}],
    "a Bedrock agent's action": [{"messageVersion": "1.0", "actionGroup": "x", "inputText": PERSONAL}],
    "the console's test event": [{"key1": PERSONAL, "key2": "value2", "key3": "value3"}],
    "an HTTP request that lacks a part": [
        {"httpMethod": "GET", "path": f"/{PERSONAL}"},
        {"rawPath": f"/{PERSONAL}"},
        {"version": "2.0", "requestContext": {"http": {"method": "GET"}}, "rawPath": f"/{PERSONAL}"},
        {"resource": "/x", "requestContext": None, "path": f"/{PERSONAL}"},
    ],
    # Step Functions and direct invocations send what their users want.
    "an object of no known kind": [
        {"key1": PERSONAL},
        {PERSONAL: 1},
        {"orderId": 7, "customer": {"email": PERSONAL}},
        {"Payload": {"email": PERSONAL}, "taskToken": "x"},
        {"Records": []},
        {"Records": None},
        {"Records": [PERSONAL]},
        {"Records": [{"eventSource": PERSONAL}]},
        {"source": "serverless-plugin-warmup"},
        {},
    ],
    "null": [None],
    "no object, but of type": [[{"email": PERSONAL}], PERSONAL, 7, 1.5, True],
}
