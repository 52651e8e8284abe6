//! What the cloud serves: action to function, one line each. A new action is a type in `ec2`, a
//! function in `actions`, and a line here.

use crate::actions::{
    accounts, addresses, admin, credentials, images, instances, keys, quotas, run, trace, users, zones,
};
use crate::cloud::Cloud;
use crate::front::Actions;

/// The list.
pub fn actions() -> Actions<Cloud> {
    Actions::new()
        .on(run::run_instances)
        .on(instances::describe_instances)
        .on(instances::reboot_instances)
        .on(instances::terminate_instances)
        .on(instances::stop_instances)
        .on(instances::start_instances)
        .on(instances::get_console_output)
        .on(images::register_image)
        .on(images::describe_images)
        .on(images::deregister_image)
        .on(keys::create_key_pair)
        .on(keys::import_key_pair)
        .on(keys::describe_key_pairs)
        .on(keys::delete_key_pair)
        .on(zones::describe_availability_zones)
        .on(zones::describe_regions)
        .on(zones::describe_instance_types)
        .on(addresses::describe_addresses)
        .on(admin::register_cluster)
        .on(admin::deregister_cluster)
        .on(admin::describe_clusters)
        .on(admin::register_node)
        .on(admin::deregister_node)
        .on(admin::describe_nodes)
        .on(accounts::create_account)
        .on(accounts::delete_account)
        .on(accounts::describe_accounts)
        .on(quotas::describe_quotas)
        .on(quotas::modify_quotas)
        .on(users::create_user)
        .on(users::delete_user)
        .on(users::describe_users)
        .on(users::create_group)
        .on(users::delete_group)
        .on(users::describe_groups)
        .on(users::add_user_to_group)
        .on(users::remove_user_from_group)
        .on(credentials::create_access_key)
        .on(credentials::describe_access_keys)
        .on(credentials::update_access_key)
        .on(credentials::delete_access_key)
        .on(credentials::create_signing_certificate)
        .on(credentials::describe_signing_certificates)
        .on(credentials::update_signing_certificate)
        .on(credentials::delete_signing_certificate)
        .on(trace::describe_trace)
}
