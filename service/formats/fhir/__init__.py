"""FHIR R4 (4.0.1) as JSON: Bundles and resources of a laboratory in, outcomes and answers out.

Law: every entry is accounted for: it became results, or was ignored for a reason, or has faults with their FHIRPath.
"""
