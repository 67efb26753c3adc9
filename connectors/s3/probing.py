"""What an operator should know about a bucket before it is served."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from connectors.contract import ConnectorError, Failure, Finding, Severity
from connectors.s3.client import Client
from connectors.s3.faults import code_of, refuses_credentials
from connectors.s3.options import Options

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_EVERYBODY = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)
"""The second one is everybody with an account at Amazon."""


async def probe_bucket(client: Client, options: Options) -> tuple[Finding, ...]:
    findings = []
    if options.plain_http:
        text = "objects and signatures travel unencrypted: use an https endpoint"
        findings.append(Finding(code="plain_http", severity=Severity.UNSAFE, text=text))
    try:
        await client.call(lambda s3: s3.list_objects_v2(Bucket=options.bucket, MaxKeys=1))
    except ConnectorError as e:
        if e.failure is not Failure.REFUSED_BY_WALL:
            return (*findings, _not_reached(e))
        text = "these credentials may not list the bucket: only objects whose key is known can be had"
        findings.append(Finding(code="listing_refused", severity=Severity.WARNING, text=text))
    findings.append(Finding(code="reachable", severity=Severity.OK, text="the store answers"))
    findings += await client.call(functools.partial(_findings_of, bucket=options.bucket))
    return tuple(findings)


def _not_reached(error: ConnectorError) -> Finding:
    cause = error.__cause__
    if refuses_credentials(cause):
        text = "the store refuses the credentials: check access_key and secret_key, and the clock of this machine"
        return Finding(code="credentials_refused", severity=Severity.WARNING, text=text)
    if isinstance(cause, ClientError) and code_of(cause) == "NoSuchBucket":
        text = "there is no such bucket: check its name, region and endpoint_url"
        return Finding(code="bucket_missing", severity=Severity.WARNING, text=text)
    text = "no answer: check endpoint_url, region and that the store runs"
    return Finding(code="unreachable", severity=Severity.WARNING, text=text)


def _findings_of(client: "S3Client", *, bucket: str) -> list[Finding]:
    return [*_sharing(client, bucket), *_versioning(client, bucket)]


def _sharing(client: "S3Client", bucket: str) -> Iterator[Finding]:
    told = (_public_by_policy(client, bucket), _public_by_list(client, bucket))
    if True in told:
        text = "everybody can reach the bucket past the gateway: block public access to it"
        yield Finding(code="public_bucket", severity=Severity.UNSAFE, text=text)
    elif None in told:
        text = (
            "the store does not tell these credentials whether the bucket is public: check its policy and access list"
        )
        yield Finding(code="sharing_unknown", severity=Severity.WARNING, text=text)


def _public_by_policy(client: "S3Client", bucket: str) -> bool | None:
    try:
        return client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    except ClientError as e:
        return False if code_of(e) == "NoSuchBucketPolicy" else None


def _public_by_list(client: "S3Client", bucket: str) -> bool | None:
    try:
        grants = client.get_bucket_acl(Bucket=bucket)["Grants"]
    except ClientError as e:
        # A bucket without access lists: Amazon's default since 2023.
        return False if code_of(e) == "AccessControlListNotSupported" else None
    return any(grant.get("Grantee", {}).get("URI") in _EVERYBODY for grant in grants)


def _versioning(client: "S3Client", bucket: str) -> Iterator[Finding]:
    try:
        kept = client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    except ClientError:
        # Information, not safety: what the credentials may not ask is left out.
        return
    text = "older versions are kept" if kept else "no versions are kept: what is overwritten or deleted is gone"
    yield Finding(code="versions_kept" if kept else "versions_not_kept", severity=Severity.OK, text=text)
