"""What every Kelola service stands on. It holds no word of finance, people or goods."""

import os
import warnings

# nameko imports eventlet, whose hub we never run (chassis.container); its notice would stand before every output.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
# Nor its resolver, which is made at import and keeps seven megabytes in every process.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
