# The scrape job of Grafana Cloud's Metrics Endpoint integration. No line needs an edit: Terraform and OpenTofu
# take each variable from the environment as TF_VAR_<name>, and the provider its own from GRAFANA_CONNECTIONS_API_URL
# and GRAFANA_CONNECTIONS_API_ACCESS_TOKEN. docs/grafana-cloud.md says where to find them.

terraform {
  required_version = ">= 1.5"
  required_providers {
    grafana = {
      source  = "grafana/grafana"
      version = "~> 4.0"
    }
  }
}

provider "grafana" {}

variable "grafana_stack_id" {
  description = "The numeric id of the Grafana Cloud stack."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.grafana_stack_id))
    error_message = "grafana_stack_id is the stack's number, not its name."
  }
}

variable "kairo_domain" {
  description = "The deployment's final domain, such as shop.example: Grafana Cloud reaches it from outside."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(:[0-9]+)?$", var.kairo_domain))
    error_message = "kairo_domain is a domain without https:// and without a path."
  }
}

variable "metrics_auth_token" {
  description = "The deployment's METRICS_AUTH_TOKEN; of two with a comma between them only one."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[^[:space:],]+$", var.metrics_auth_token))
    error_message = "metrics_auth_token is one token, without spaces and commas."
  }
}

variable "vercel_automation_bypass_secret" {
  description = "For a deployment behind Vercel's Deployment Protection: the secret of Protection Bypass for Automation."
  type        = string
  sensitive   = true
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]*$", var.vercel_automation_bypass_secret))
    error_message = "vercel_automation_bypass_secret has letters, digits, - and _ only."
  }
}

variable "scrape_interval_seconds" {
  description = "How often Grafana Cloud scrapes."
  type        = number
  default     = 60

  validation {
    condition     = contains([30, 60, 120], var.scrape_interval_seconds)
    error_message = "scrape_interval_seconds is 30, 60 or 120: Grafana Cloud offers no other."
  }
}

locals {
  bypass = var.vercel_automation_bypass_secret
  query  = local.bypass == "" ? "" : "?x-vercel-protection-bypass=${local.bypass}"
}

resource "grafana_connections_metrics_endpoint_scrape_job" "kairo_cms" {
  stack_id                    = var.grafana_stack_id
  name                        = "kairo-cms-production"
  enabled                     = true
  url                         = "https://${var.kairo_domain}/api/metrics${local.query}"
  authentication_method       = "bearer"
  authentication_bearer_token = var.metrics_auth_token
  scrape_interval_seconds     = var.scrape_interval_seconds
}
