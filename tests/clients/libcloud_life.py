"""An instance's life through Apache libcloud's Eucalyptus driver, unchanged. usage: libcloud_life.py IMAGE"""
import os
import sys
from urllib.parse import urlparse
from libcloud.compute.types import Provider
from libcloud.compute.providers import get_driver

url = urlparse(os.environ["EC2_URL"])
cloud = get_driver(Provider.EUCALYPTUS)(os.environ["EC2_ACCESS_KEY"], secret=os.environ["EC2_SECRET_KEY"], secure=url.scheme == "https",
                                        host=url.hostname, port=url.port, path=url.path)
sizes = {size.id: size for size in cloud.list_sizes()}
image = next(image for image in cloud.list_images() if image.id == sys.argv[1])
node = cloud.create_node(name="libcloud", image=image, size=sizes["m1.small"])
assert cloud.ex_get_console_output is not None
print("ok", node.id)
