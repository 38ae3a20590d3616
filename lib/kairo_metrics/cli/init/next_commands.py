"""The commands that follow: secrets, Redis, the deployment, and a look at the page."""

from __future__ import annotations

from .plan import Plan

__all__ = ["next_commands"]


def next_commands(plan: Plan) -> list[str]:
    """Return the commands for the host of the project, one a line."""
    curl = f'curl https://<domain>{plan.page} -H "Authorization: Bearer <the token>"'
    match plan.layout.host:
        case "Vercel":
            return [
                "vercel link",
                "openssl rand -hex 32                             # a token",
                "vercel env add METRICS_AUTH_TOKEN production     # paste it",
                "vercel env add ENABLE_METRICS production         # true",
                "vercel integration add upstash                   # or another Redis: it sets REDIS_URL",
                "vercel deploy --prod",
                curl,
            ]
        case "AWS Lambda":
            return [
                "openssl rand -hex 32                             # a token",
                "# in your template: ENABLE_METRICS=true, METRICS_AUTH_TOKEN and REDIS_URL for each function",
                "sam build && sam deploy --guided                 # or serverless deploy",
                curl,
            ]
        case "another host":
            return [
                "export METRICS_AUTH_TOKEN=$(openssl rand -hex 32)",
                "export ENABLE_METRICS=true REDIS_URL=redis://...",
                "# start your app with these variables, then:",
                curl,
            ]
