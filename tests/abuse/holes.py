"""The known holes, and the tests that show each of them closed; a test is named once, wherever it stands.

The first part are the rows of what is broken under us in MONAI Label 0.8.5; the second what any server in a hospital's
network has to expect.
"""

from __future__ import annotations

#: hole -> tests, as ``file::function`` below ``tests/``; every case of the function counts.
HOLES: dict[str, tuple[str, ...]] = {
    # Of MONAI Label, safety
    "listens to everybody, without a sign-in, and everybody is admin": (
        "server/test_run.py::test_the_command_refuses_with_exit_code_2_and_one_line",
        "server/test_run.py::test_everything_else_does_however_it_is_written",
        "abuse/test_web.py::test_a_gate_in_front_of_every_route_for_whoever_has_no_token",
    ),
    "CORS for every origin, with credentials": (
        "server/test_origin.py::test_no_answer_permits_another_origin",
        "server/test_origin.py::test_other_pages_change_nothing",
        "server/test_app.py::test_other_origins_get_no_permission",
    ),
    "tokens are decoded without naming algorithms": (
        "access/test_oidc.py::test_alg_none_is_refused",
        "access/test_oidc.py::test_hs256_signed_with_the_public_key_is_refused",
        "access/test_oidc.py::test_a_claim_that_is_wrong",
    ),
    "image= writes any file": ("server/test_bad_input.py::test_nothing_is_written_outside_the_labels",),
    "tag= writes outside the datastore": ("adapters/test_labels.py::test_a_tag_is_a_plain_name",),
    "../ in the proxy path leaves /dicom-web": (
        "server/test_dicomweb.py::test_nothing_leads_out_of_the_archive_s_address",
        "abuse/test_names.py::test_below_the_dicomweb_proxy",
    ),
    "any path of the server is taken as image": (
        "server/test_bad_input.py::test_unknown_names_and_forbidden_settings",
        "abuse/test_names.py::test_in_every_name_that_is_asked_for",
    ),
    "params override image, model, device and result path": (
        "adapters/test_wire.py::test_nothing_overrides_the_address",
        "abuse/test_web.py::test_what_a_request_would_override_stays_as_it_is",
    ),
    "an annotator uploads weights": ("server/test_weights.py::test_only_an_administrator_may",),
    "uploaded weights are unpickled, scripts are run": (
        "server/test_weights.py::test_what_is_not_weights_of_this_network_is_refused_and_never_run",
        "server/test_weights.py::test_the_pickle_is_a_real_one",
    ),
    "code that unpickles or runs what was sent": ("abuse/test_code.py::test_nothing_is_unpickled_or_run",),
    "archives are unpacked unfiltered": (
        "server/test_archives.py::test_zip_slip",
        "server/test_archives.py::test_links_are_refused",
        "server/test_archives.py::test_hostile_archives_are_refused",
    ),
    "session_id is a path": (
        "server/test_session.py::test_an_id_is_none_of_ours",
        "server/test_session_store.py::test_what_is_no_id_is_unknown",
    ),
    "reload, batch, logs and whole data sets are open": (
        "abuse/test_web.py::test_what_monai_labels_other_addresses_did_is_not_there",
    ),
    "secrets are printed at DEBUG": (
        "server/test_auth.py::test_no_secret_is_ever_logged",
        "abuse/test_web.py::test_no_secret_and_no_patient_is_logged",
        "dicom/test_store.py::test_an_archive_that_is_down_is_said_without_its_password",
    ),
    # Of MONAI Label, labels and datastore
    "a second process makes entries vanish": ("labels/test_processes.py::test_a_second_process_makes_nothing_vanish",),
    "uploading an image again drops its labels": (
        "server/test_bad_input.py::test_an_image_is_not_replaced_by_another",
    ),
    "a label is overwritten with no history": (
        "labels/test_history.py::test_a_label_is_overwritten_with_no_history_no_more",
        "labels/test_history.py::test_no_statement_changes_a_version",
    ),
    "a label of any geometry and any values is kept": (
        "labels/test_checks.py::test_another_grid_is_refused_with_both",
        "labels/test_checks.py::test_values_that_no_label_map_has",
        "server/test_labels.py::test_a_label_of_another_image_is_refused_at_save",
    ),
    "a label of an unknown image is kept": ("abuse/test_web.py::test_a_label_of_an_unknown_image_is_refused",),
    "an interrupted download counts as complete": ("dicom/test_store.py::test_an_interrupted_download_does_not_count",),
    "one image is given to several annotators": (
        "server/test_learning.py::test_nobody_is_given_what_somebody_else_works_on",
        "labels/test_leases.py::test_two_processes_never_give_the_same_lease",
    ),
    # Of MONAI Label, serving
    "an inference stalls every other request": ("server/test_app.py::test_info_answers_while_an_inference_runs",),
    "requests wait without a bound": (
        "adapters/inference/test_queue.py::test_a_full_queue_refuses_and_says_when_to_come_back",
    ),
    "networks are loaded twice and used at once": (
        "adapters/test_models.py::test_two_first_requests_load_once",
        "adapters/inference/test_queue.py::test_the_device_is_touched_by_one_thread_that_neither_reads_nor_writes",
    ),
    "next sample fails once all were served": ("server/test_app.py::test_random_never_runs_dry",),
    # Of any server, who comes in
    "a page of another site uses the browser's sign-in": (
        "server/test_signin.py::test_the_cookie_is_out_of_reach",
        "server/test_origin.py::test_other_pages_may_link_here_but_not_read_or_frame",
    ),
    "DNS rebinding": ("server/test_origin.py::test_dns_rebinding_is_closed",),
    "passwords are guessed": (
        "access/test_throttle.py::test_many_names_from_one_address",
        "server/test_auth.py::test_guessing_is_told_when_to_come_back",
    ),
    "a role does more than it may": (
        "server/test_rules.py::test_every_route_says_who_may_use_it",
        "server/test_rules.py::test_a_route_without_a_rule_is_closed",
        "server/test_auth.py::test_a_role_that_does_not_suffice_is_403",
    ),
    "a forged X-Forwarded-For": ("server/test_run.py::test_only_the_trusted_proxy_speaks_for_others",),
    "somebody else's session": (
        "server/test_session.py::test_a_session_is_its_owners",
        "server/test_session_store.py::test_only_the_owner_and_an_administrator_see_a_session",
    ),
    "somebody else's name on a label": (
        "server/test_labels.py::test_the_name_of_who_signed_in_counts_and_not_what_the_client_says",
    ),
    "an upload is read before its sender is known": (
        "server/test_forms.py::test_who_may_not_is_told_before_a_byte_is_read",
    ),
    # Of any server, names and requests
    "traversal in any part of any address": ("abuse/test_names.py::test_in_every_part_of_every_address",),
    "a request is carried to another server": ("abuse/test_web.py::test_no_request_is_carried_elsewhere",),
    "request smuggling": (
        "abuse/test_web.py::test_what_is_no_plain_request_gets_one_plain_answer",
        "server/test_limits.py::test_two_lengths_are_refused",
    ),
    "a file name becomes a header": ("abuse/test_web.py::test_no_name_of_a_file_becomes_a_header",),
    "a patient's name becomes markup": (
        "abuse/test_web.py::test_no_name_of_others_becomes_markup_in_a_page",
        "abuse/test_web.py::test_every_answer_forbids_to_guess_its_kind_and_to_frame_it",
    ),
    "a patient's name in the audit log": ("abuse/test_web.py::test_the_audit_log_names_no_patient",),
    "a request writes lines into the log": ("server/test_logs.py::test_nobody_writes_lines_of_their_own",),
    "the audit log is changed afterwards": (
        "audit/test_log.py::test_records_can_be_neither_changed_nor_removed_nor_slipped_in",
    ),
    "an error tells of the server": ("server/test_app.py::test_an_unexpected_error_says_nothing_of_the_server",),
    "deep, huge and odd JSON": (
        "abuse/test_uploads.py::test_json_that_is_deep_huge_or_odd",
        "adapters/test_params.py::test_what_is_refused_is_not_repeated",
    ),
    # Of any server, bodies and files
    "an oversized body fills the disk": (
        "server/test_limits.py::test_a_declared_size_beyond_the_limit_is_refused_before_anything_is_read",
        "server/test_limits.py::test_an_undeclared_size_is_counted_as_it_comes",
        "server/test_limits.py::test_a_full_disk_is_said_before_and_while_it_fills",
    ),
    "slowloris": (
        "server/test_limits.py::test_a_client_that_stops_sending_is_given_up",
        "server/test_limits.py::test_a_drop_now_and_then_is_given_up_too",
        "server/test_patience.py::test_half_a_header_is_given_up",
    ),
    "temporary files outlive their request": (
        "server/test_limits.py::test_a_client_that_hangs_up_leaves_nothing_behind",
        "server/test_scratch.py::test_a_killed_server_is_tidied_up_after_and_a_running_one_is_left_alone",
    ),
    "sessions without a bound": (
        "server/test_session_store.py::test_one_person_has_a_share_and_the_oldest_makes_way",
        "server/test_session_store.py::test_their_size_is_bounded",
        "server/test_session_store.py::test_expired_ones_go_by_themselves",
    ),
    "thousands of parts in one form": ("server/test_forms.py::test_too_many_parts_and_long_fields_are_refused",),
    "gzip, picture and DICOM bombs": (
        "abuse/test_uploads.py::test_files_that_are_not_what_they_seem",
        "io/guard/test_volumes.py::test_bombs_are_stopped",
        "io/guard/test_pictures.py::test_picture_bombs_are_refused_by_their_header",
        "io/guard/test_dicom.py::test_a_frame_larger_than_its_header_says_is_refused",
        "server/test_stow.py::test_what_unpacks_to_too_much_is_not_stored",
    ),
    "zip bombs": (
        "abuse/test_uploads.py::test_archives_that_are_not_what_they_seem",
        "server/test_archives.py::test_zip_bombs",
    ),
    "an upload that points at a file of the server": (
        "io/guard/test_volumes.py::test_files_that_point_at_another_file_are_refused",
        "io/guard/test_volumes.py::test_the_pointers_are_real",
    ),
    "a picture that starts a program": (
        "io/guard/test_pictures.py::test_other_pictures_under_these_names_are_not_read",
    ),
    "what is pinned has a known hole": ("test_requirements.py::test_what_is_pinned_here_has_no_hole_that_we_know",),
}
