"""What tests share: servers, instances, clients and runners of programs. No tests."""
