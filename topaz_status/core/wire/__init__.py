"""What goes over the wire: requests, the responses to them, and how bytes become observations and statuses.

Whatever a service sends, nothing here raises anything but the library's own errors. Nothing here knows the schedule.
"""
