"""Services: the EndpointSlices that list their pods, and where their traffic goes here."""
