"""What goes over the wire: requests, the responses to them, and how bytes become observations and statuses.

Whatever a service sends, these modules raise only the library's own errors. They know nothing of the schedule.
"""
